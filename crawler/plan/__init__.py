"""With a deadline, time is the budget: what is saved first, what will fit, and what would change that."""

from crawler.plan.planner import Goal, Plan, Planner, headline, share_known

__all__ = ["Goal", "Plan", "Planner", "headline", "share_known"]
