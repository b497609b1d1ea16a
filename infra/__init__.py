"""What the system is deployed by, beside the chart: a cluster of this machine, and manifests for kustomize."""
