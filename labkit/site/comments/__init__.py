"""Comments, and what readers see of them as materialised views in Redis.

    views = CommentViews(client)
    rebuild(views, db)
    comments = Comments(db, views)
    said = comments.add(17, "ada", "About time.")
    comments.vote(said.id, "bob", 1)
    views.page(17, "best"), views.count(17), views.totals("ada")

Where things are: `views` keeps the views up and reads them, `places` says in which order, `scripts`
and `lua/` how they change at once. `rebuilding` makes them anew from the database, `checking`
compares them with it. `service` writes to both.
"""
