"""The words that the newsroom's texts are made of."""
# ruff: noqa: SIM905 - lists of words read best as texts

from __future__ import annotations

FIRST_NAMES = (
    "Ada Anton Beatriz Bruno Carla Cyril Dalia Diego Edith Emil Farah Felix Greta Hugo Ines Ivo "
    "Jana Jonas Kamala Karl Leila Luca Marta Milan Nadia Nils Olga Oscar Paula Pavel Rosa Ruben "
    "Selma Simon Tara Theo Uma Viktor Wanda Yusuf"
).split()

LAST_NAMES = (
    "Abara Almeida Bergmann Castell Dahl Eriksen Farrow Gallo Haddad Holm Ibarra Jansen Kaplan "
    "Kovacs Lindqvist Marlow Mendes Novak Okafor Oyelaran Petrov Quist Ramos Rossi Sandoval "
    "Silva Tanaka Torres Urbina Vance Weber Whitfield Yilmaz Zeller"
).split()

BEATS = (
    "the city council",
    "courts and prisons",
    "energy and climate",
    "food and farming",
    "health",
    "housing",
    "music and theatre",
    "rivers and coasts",
    "schools",
    "small firms",
    "space and the sky",
    "trains and roads",
)

PLACES = (
    "Ashford Bay",
    "Bellmoor",
    "Cedar Point",
    "Dunhaven",
    "Eastmere",
    "Fairwater",
    "Greyfield",
    "Highcliff",
    "Ironbridge",
    "Juniper Hill",
    "Kingsmarsh",
    "Longreach",
    "Millbrook",
    "Northgate",
    "Oldport",
    "Pinecrest",
    "Queensferry",
    "Redwharf",
    "Saltmouth",
    "Thornbury",
)

SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "business": (
        ("bank", "brewery", "chamber of trade", "ferry line", "regulator", "shipyard", "union"),
        ("bond sale", "merger", "new plant", "pay deal", "price rise", "rescue plan", "warehouse"),
    ),
    "city": (
        ("council", "fire service", "housing office", "mayor", "police chief", "water board"),
        ("bus lane", "flood wall", "housing plan", "night market", "school", "tram line"),
    ),
    "culture": (
        ("festival", "gallery", "library", "museum", "opera house", "publisher", "theatre"),
        ("archive", "concert hall", "exhibition", "film prize", "mural", "new wing", "revival"),
    ),
    "science": (
        ("clinic", "institute", "laboratory", "observatory", "research team", "university"),
        ("battery plant", "dig", "fish survey", "moon probe", "sleep study", "vaccine trial"),
    ),
    "sport": (
        ("athletics club", "club", "coach", "fan group", "league", "rowing team", "youth team"),
        ("cup final", "new stadium", "record bid", "ticket rule", "transfer", "training camp"),
    ),
    "world": (
        ("aid agency", "border office", "embassy", "fishing fleet", "ministry", "navy", "senate"),
        ("ceasefire", "election", "fishing treaty", "grain deal", "summit", "trade pact"),
    ),
}
"""The sections of the paper: who acts in each, and what it is about."""

ACTIONS = (
    "backs",
    "celebrates",
    "debates",
    "defends",
    "delays",
    "drops",
    "funds",
    "praises",
    "questions",
    "rejects",
    "rethinks",
    "reviews",
    "saves",
    "speeds up",
    "unveils",
    "votes on",
)

CIRCUMSTANCES = (
    "after a long night of talks",
    "after protests",
    "against all odds",
    "ahead of the holidays",
    "amid doubts over costs",
    "as storms close in",
    "at the last minute",
    "despite warnings",
    "for the first time in years",
    "in a surprise move",
    "over safety fears",
    "to wide relief",
    "under new rules",
    "with help from neighbours",
)

SENTENCES = (
    "Nobody in {place} had expected the {thing} to come so soon.",
    "The {actor} in {place} had asked for more time, and got a week.",
    "“We will look at every figure twice,” said {name}, who speaks for the {actor}.",
    "“It is late, but it is right,” said {name}.",
    "Figures seen by this paper put the cost of the {thing} at {number} million.",
    "A first report on the {thing} is due in {number} days.",
    "Some {number} people came to the meeting in {place}, more than in any year before.",
    "Those who live near {place} say that they were never asked about the {thing}.",
    "The {actor} would not comment on the plans of {place}.",
    "For {name}, who has worked in {place} for {number} years, the {thing} is personal.",
    "Experts call the {thing} sound, but point to what happened in {place}.",
    "In {place} a similar {thing} failed within {number} months.",
    "The {actor} and its critics agree on one thing: the {thing} cannot wait.",
    "The next step is a hearing in {place}, which anyone may attend.",
    "Work on the {thing} could begin within {number} weeks.",
    "A spokesperson for the {actor} said that talks would go on.",
    "Small shops in {place} hope that the {thing} brings visitors back.",
    "The {thing} has been promised, delayed and promised again.",
    "Opponents handed over {number} thousand signatures.",
    "What the {thing} means for {place} will be clear by the end of the year.",
)

OPENINGS = (
    "At last.",
    "Can somebody explain this?",
    "Fair point.",
    "I disagree.",
    "I was there.",
    "Not again.",
    "Thank you for this report.",
    "This is half the story.",
    "Well written.",
    "Who pays for it?",
)

REMARKS = (
    "My neighbours have said the same for years.",
    "The numbers in the third paragraph do not add up.",
    "They promised this before the last election too.",
    "We need more reporting like it.",
    "Nobody asked the people who live here.",
    "I hope that somebody keeps an eye on it.",
    "It worked in the next town, so why not here?",
    "Please follow this up.",
    "The photograph is from another year, is it not?",
    "There is a meeting about it on Thursday.",
    "My children will still be paying for it.",
    "Good news for once.",
)

TOPICS = (
    "archives art bridges budget buses children climate coast courts crime cycling dance "
    "education elections energy europe farming film fishing floods food forests harbour health "
    "heritage housing insects jobs law libraries markets moon music ocean parks pensions planning "
    "prices privacy rail research rivers roads robots schools ships sleep storms strikes taxes "
    "tennis theatre tourism trade transport vaccines water weather wind women youth"
).split()
