"""A replica of Parler as strangers could reach it in January 2021: invented people, invented posts, its own hosts."""
