"""The words everybody uses: chat requests and responses, failures, errors, stop reasons, URLs, text. Pure."""
