"""The words everybody uses: chat requests and responses, failures and what they lead to, errors, stop reasons, routes,
URLs and text.

Imports: nothing.
Pure: all.
"""
