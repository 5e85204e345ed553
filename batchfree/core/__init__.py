"""What every room uses: chat requests and replies, finish reasons, failures and their consequences, errors, stop
reasons, routes, request parameters, file formats, URLs and text.

Imports: nothing.
Pure: all.
"""
