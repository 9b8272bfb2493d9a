"""What others would write, each a server of one file, measured beside ours."""
