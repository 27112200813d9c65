"""The exporter's own notifications: to Alertmanager, and as events to webhooks."""
