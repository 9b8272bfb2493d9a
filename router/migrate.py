"""``python -m router.migrate``: bring the schema of the inbox's database up to date, once per release, before the rest.

With SQLite there is nothing to do: nodes and routers bring it up to date as they start.
"""

from __future__ import annotations

import sys

from shared import logs
from shared.database import Database
from shared.errors import SettingsError
from shared.schema import PATIENCE, migrate
from shared.serving import run
from shared.settings import CommonSettings, read_settings


async def _migrate(settings: CommonSettings) -> None:
    url = settings.database_url.get_secret_value()
    async with Database(url, name="vsrt-migrate", pool_size=1, timeout=PATIENCE) as database:
        await migrate(database)


def main() -> int:
    try:
        settings = read_settings(CommonSettings)
    except SettingsError as exc:
        print(f"migrate: {exc}", file=sys.stderr)
        return 2
    if not settings.has_inbox:
        print("migrate: DATABASE_URL is off", file=sys.stderr)
        return 2
    logs.configure(settings, "migrate", "migrate")
    return run(lambda: _migrate(settings), "migrate")


if __name__ == "__main__":
    sys.exit(main())
