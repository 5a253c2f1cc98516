"""The same work by other open tools, each as its package installs it, on the same machine in the same run."""
