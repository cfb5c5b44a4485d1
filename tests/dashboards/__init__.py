"""The dashboards of docs/deploy/grafana, against the pages that they draw and a real Prometheus."""
