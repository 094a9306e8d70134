"""What is asked of the Kubernetes API server, one file for each thing asked."""
