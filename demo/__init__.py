"""`make demo`: the main job on real input, through the public API, with receivers that check everything."""
