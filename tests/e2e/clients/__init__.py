"""Scripts for the official clients, run by the virtual environment that has them (`make clients`)."""
