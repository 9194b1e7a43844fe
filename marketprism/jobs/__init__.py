"""The scheduled jobs: their work, the process that runs them on time, and the log of their runs.

`schemas/jobs.py` says which jobs there are. The work of each is a row in `marketprism/jobs/work.py`.
"""
