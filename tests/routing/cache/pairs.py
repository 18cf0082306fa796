"""Labelled pairs of questions, written for this: near misses (other answers) and paraphrases (the same answer)."""

SWAPS = {
    "How do I {} notifications on my phone?": ("enable", "disable"),
    "How can I {} two-factor authentication for all users?": ("enable", "disable"),
    "Write a query that sorts the table in {} order of price.": ("ascending", "descending"),
    "What happens when interest rates {}?": ("increase", "decrease"),
    "Find the {} value of the function on the closed interval.": ("maximum", "minimum"),
    "How do I {} a file to the server from the command line?": ("upload", "download"),
    "What are the {} of working from home?": ("advantages", "disadvantages"),
    "Which {} option should I choose for a small team?": ("cheapest", "fastest"),
    "How do I {} a column in a spreadsheet?": ("add", "delete"),
    "Is it {} to record a phone call in this country?": ("legal", "illegal"),
    "How do I {} a door from the inside?": ("lock", "unlock"),
    "What should I eat {} a long run?": ("before", "after"),
    "How do I {} a message with a public key?": ("encrypt", "decrypt"),
    "What is the {} temperature ever measured on Earth?": ("highest", "lowest"),
    "How do I {} shares through my bank?": ("buy", "sell"),
    "Explain {} functions in plain words.": ("synchronous", "asynchronous"),
    "How do I {} the service at boot?": ("start", "stop"),
    "Which planet is {} to the sun?": ("nearest", "farthest"),
    "How do I turn {} the screen reader?": ("on", "off"),
    "Convert the distance to {}.": ("miles", "kilometres"),
    "What was the {} of that company last year?": ("profit", "loss"),
    "Who was the {} person to walk on the moon?": ("first", "last"),
    "How do I {} the package with the package manager?": ("install", "uninstall"),
    "Give me a {} summary of the report.": ("short", "long"),
    "How do I {} a pull request?": ("accept", "reject"),
    "What are the {} numbers below the limit?": ("odd", "even"),
    "What does a {} feedback loop do?": ("positive", "negative"),
    "Which {} effects does the medicine have on sleep?": ("good", "bad"),
    "How do I {} the archive?": ("compress", "decompress"),
    "How much does it {} on a rainy Monday?": ("cost", "save"),
}
NEGATED = (
    ("Which foods are safe for dogs?", "Which foods are not safe for dogs?"),
    ("Why is my code compiling?", "Why isn't my code compiling?"),
    ("What should I do in an interview?", "What should I never do in an interview?"),
    ("Which countries have signed the treaty?", "Which countries have not signed the treaty?"),
    ("List mammals that can fly.", "List mammals that cannot fly."),
    ("Cook the rice with salt.", "Cook the rice without salt."),
    ("Which browsers support this feature?", "Which browsers do not support this feature?"),
    ("When must I pay the tax?", "When must I not pay the tax?"),
    ("Why does the printer print?", "Why doesn't the printer print?"),
    ("Which files are tracked by git?", "Which files are untracked by git?"),
    ("Is the number rational?", "Is the number irrational?"),
    ("Is the outcome likely?", "Is the outcome unlikely?"),
    ("Which of these words are regular?", "Which of these words are irregular?"),
    ("Name all states except Texas.", "Name all states including Texas."),
    ("Which drugs are approved for children?", "Which drugs aren't approved for children?"),
)
ORDERED = (
    ("Translate this from English to German.", "Translate this from German to English."),
    ("How do I convert a list to a set?", "How do I convert a set to a list?"),
    ("Did the dog bite the man?", "Did the man bite the dog?"),
    ("How far is it from Oslo to Rome by train?", "How far is it from Rome to Oslo by train?"),
    ("Does rust import from python?", "Does python import from rust?"),
    ("Is gold heavier than lead?", "Is lead heavier than gold?"),
    ("Why did Brutus kill Caesar?", "Why did Caesar kill Brutus?"),
    ("How do I merge main into develop?", "How do I merge develop into main?"),
    ("Convert JSON into YAML.", "Convert YAML into JSON."),
    ("Can a lender sue a borrower?", "Can a borrower sue a lender?"),
)
NUMBERS = (
    "Convert {} miles to kilometres.",
    "Summarise chapter {} of the novel.",
    "Who won the world cup in {}?",
    "What is {} percent of 640?",
    "What is the capital gain on {} shares?",
    "List {} healthy breakfast ideas.",
)
VALUES = (("10", "12"), ("3", "4"), ("2018", "2022"), ("1.5", "15"), ("one", "two"), ("100", "1000"))
NAMES = (
    "What is the population of {}?",
    "Who is the president of {}?",
    "What is the weather usually like in {}?",
    "Write a short biography of somebody from {}.",
)
PLACES = (
    ("Austria", "Australia"),
    ("Iran", "Iraq"),
    ("Niger", "Nigeria"),
    ("Slovakia", "Slovenia"),
    ("Paris", "London"),
    ("North Korea", "South Korea"),
    ("Sweden", "Switzerland"),
    ("Dominica", "Denmark"),
)
QUOTED = (
    'What does "{}" mean in German?',
    "Rename the variable `{}` in the whole project.",
    "What does the function {}() return?",
)
TERMS = (
    ("fast", "fest"),
    ("count", "counts"),
    ("left_pad", "right_pad"),
    ("read", "write"),
    ("user", "users"),
    ("open", "close"),
)
CODE = (
    ("What does `x += 1` do?", "What does `x -= 1` do?"),
    ("What does git push --force do?", "What does git push --force-with-lease do?"),
    ("Is a < b always true here?", "Is a > b always true here?"),
    ("What is 7 + 3?", "What is 7 * 3?"),
    ("Explain chmod 755 run.sh.", "Explain chmod 755 run.py."),
    ("What is in /etc/hosts?", "What is in /etc/hostname?"),
    ("Does list.append return anything?", "Does list.extend return anything?"),
    ("What does ls -a print?", "What does ls -l print?"),
    ("Fetch https://example.org/a and summarise it.", "Fetch https://example.org/b and summarise it."),
    ("What does the flag -v mean?", "What does the flag -V mean?"),
)
WAYS = ("morning", "evening"), ("Monday", "Tuesday"), ("January", "June"), ("summer", "winter"), ("red", "green")
TIMES = (
    "What should I plant in the {}?",
    "Plan my meeting for {} please.",
    "Is {} a good choice for a wedding?",
    "What does {} stand for in old poems?",
    "Which birds are seen in {}?",
)


def near_misses() -> list[tuple[str, str]]:
    """Pairs whose answers differ although they read almost alike."""
    made = [(text.format(a), text.format(b)) for text, (a, b) in SWAPS.items()]
    made += [*NEGATED, *ORDERED, *CODE]
    for texts, fillings in ((NUMBERS, VALUES), (NAMES, PLACES), (QUOTED, TERMS), (TIMES, WAYS)):
        made += [(text.format(a), text.format(b)) for text in texts for a, b in fillings]
    made += [(f"Please, {a[0].lower()}{a[1:]}", f"Please, {b[0].lower()}{b[1:]}") for a, b in made[:60]]
    return list(dict.fromkeys(made))


TOPICS = (
    "boil an egg",
    "change a bicycle tyre",
    "write a cover letter",
    "reverse a string in Python",
    "remove a coffee stain from a shirt",
    "train a puppy",
    "reset a forgotten password",
    "grow tomatoes on a balcony",
    "prepare for a job interview",
    "clean a cast iron pan",
    "solve a quadratic equation",
    "merge two branches in git",
    "calculate compound interest",
    "learn to play the guitar",
    "bake sourdough bread",
    "improve my handwriting",
    "fall asleep faster",
    "read a CSV file in Python",
    "descale a kettle",
    "fix a leaking tap",
    "negotiate a salary",
    "pack for a long trip",
    "back up a database",
    "write a unit test",
    "tie a bow tie",
    "cite a website in an essay",
    "set up a home network",
    "make cold brew coffee",
    "sharpen a kitchen knife",
    "proofread an essay",
)
FORMS = (
    ("How do I {}?", "How can I {}?"),
    ("How do I {}?", "how do i {}"),
    ("How do I {}?", "Please tell me how I {}."),
    ("How do I {}?", "How would I {}, please?"),
    ("How do I {}?", "What's a good way to {}?"),
    ("Explain how to {}.", "Describe how to {}."),
    ("Could you show me how to {}?", "Can you please show me how to {}?"),
)


def paraphrases() -> list[tuple[str, str]]:
    """Pairs that ask for the same."""
    return [(a.format(topic), b.format(topic)) for topic in TOPICS for a, b in FORMS]
