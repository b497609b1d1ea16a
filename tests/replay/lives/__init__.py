"""Every way in which an order and its parcels can end, told by short lives on a server whose clock is the real one."""

from tests.replay.lives import cancelled, completed, failed, troubled, turned_away
from tests.replay.lives.life import LIVES

__all__ = ["LIVES", "cancelled", "completed", "failed", "troubled", "turned_away"]
