"""Load for trying things out: `manage.py simulate`."""
