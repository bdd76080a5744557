"""Object stores and web servers on this machine, for tests: started when first asked for, gone with the process."""
