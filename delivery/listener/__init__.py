"""A receiver for people who build one: `manage.py listen` shows what comes in, answers as it is told to."""
