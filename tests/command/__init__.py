"""The installed command as an operator meets it: processes, their output, configuration files, and a service in front
of which answers can be changed."""
