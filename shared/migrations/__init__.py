"""Alembic's migrations of the inbox's database; ``shared/schema.py`` runs them."""
