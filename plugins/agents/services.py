"""What other plugins may use of agents and settlement."""

from .bearing import Bearer, bearer_of
from .file import agents_of_actor, find_agent
from .sellers import seller_of

__all__ = ["Bearer", "agents_of_actor", "bearer_of", "find_agent", "seller_of"]
