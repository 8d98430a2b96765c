//! End-to-end tests with real clients, a real Pulsar and a real Kubernetes.
