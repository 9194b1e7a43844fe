"""The live page: static modules that show what the API says."""
