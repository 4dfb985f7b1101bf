"""Messages to the other processes of the installation, behind one port: none, or over Redis."""
