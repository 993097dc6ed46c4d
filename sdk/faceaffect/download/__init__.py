"""Further model bundles, fetched only when somebody asks for one."""
