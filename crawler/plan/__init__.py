"""With a deadline, time is the budget: what is saved first, what will fit, and what would change that."""

from crawler.plan.planner import Goal, Plan, Planner, headline
from crawler.plan.share import Share, share_known

__all__ = ["Goal", "Plan", "Planner", "Share", "headline", "share_known"]
