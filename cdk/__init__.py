"""Where the system is put together: on AWS and on this machine."""
