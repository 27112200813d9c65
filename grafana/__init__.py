"""The Grafana dashboards, written in Python; ``python -m grafana.build`` writes their JSON anew."""
