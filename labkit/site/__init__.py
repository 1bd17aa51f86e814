"""The news site: the newsroom behind the cache.

    with Cache([MemoryTier(), RedisTier(client)], namespace="news") as cache:
        site = Site(db, cache)
        site.show(site.find(17)).text
        site.write(db.edit_article, 17, title="Ferry is back")

Where things are: `site` is what readers and editors do, `pages` what an article's page consists of,
`versions` which versions it has, `numbers` which articles exist, `layouts` how else a page could be
kept. `app` puts the site on HTTP: `reading`, `editing`, `watching` are its addresses, `answers` its
headers, `frame` and `debug` what stands around a page. `command` runs it. `replay` and
`rush` try designs out.

`comments` keeps what readers say, and views of it in Redis; `commenting` and `moderating` are their
addresses, and `threads` what they look like.
"""
