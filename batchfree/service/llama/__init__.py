"""A model on this machine: its weights, and llama.cpp's own server as a child process."""
