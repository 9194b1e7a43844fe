"""Lightweight producers: sockets, subscriptions, heartbeats, REST snapshots; frames out as they came."""
