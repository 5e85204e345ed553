"""What every room uses: chat requests and replies, finish reasons, failures and their consequences, errors, stop
reasons, routes, request parameters, parts of a job, file formats, URLs and text.

Imports: nothing.
Pure: all.
"""
