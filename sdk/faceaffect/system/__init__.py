"""Services of the operating system: processes, threads, clocks, file names."""
