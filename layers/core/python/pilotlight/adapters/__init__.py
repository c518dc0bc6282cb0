"""The outside world behind ports: AWS, the hub, chat templates."""
