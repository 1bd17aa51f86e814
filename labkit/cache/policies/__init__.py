"""How values are cached, as data: written in Python or in TOML, and advised from what was measured.

    policy = Policy("write-through", ttl="10m", jitter=0.1)
    articles = policy.build(cache, source, name="article", type=Article)

    policies = Policies.read("cache.toml")
    articles = policies["Article"].build(cache, source, name="article", type=Article)

    advice = advise(Observed.of(articles.stats(), seconds=60, keys=1_000), staleness="30s")
    print(advice)

Where things are: `policy` says what a policy is and makes a strategy of it, `checks` what its
options take, `files` reads TOML and `lines` finds where a key stands in it; `observed` is what was
measured, `model` what follows from it by arithmetic, and `rules` what each finding advises.
"""

from labkit.cache.policies.advice import Advice, advise
from labkit.cache.policies.files import InvalidPolicies, Policies
from labkit.cache.policies.observed import Observed
from labkit.cache.policies.policy import Limits, Policy, Queue, Warm
from labkit.cache.policies.refusals import InvalidPolicy

__all__ = [
    "Advice",
    "InvalidPolicies",
    "InvalidPolicy",
    "Limits",
    "Observed",
    "Policies",
    "Policy",
    "Queue",
    "Warm",
    "advise",
]
