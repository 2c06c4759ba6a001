"""Attacks on the program as its users have it: kills, signals, full disks, links, two processes on one folder.

`python3 -m torture PROGRAM` from the folder tests runs all of them in their short form.
"""
