"""Certificates for servers of tests, made by openssl; without it the tests are skipped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def own_certificate(folder: Path, name: str = "certificate") -> Path:
    """A certificate for 127.0.0.1 that nobody has signed. Its key is in the same folder, as `<name>.key.pem`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    file = folder / f"{name}.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own"]
    files = ["-keyout", str(key_of(file)), "-out", str(file)]
    subprocess.run([*new, *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return file


def key_of(certificate: Path) -> Path:
    """The file with the key of a certificate."""
    return certificate.with_suffix(".key.pem")
