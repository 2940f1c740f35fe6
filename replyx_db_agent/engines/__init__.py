"""The doors to the outside world, one module each; nobody else opens one."""
