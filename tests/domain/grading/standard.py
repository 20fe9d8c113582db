"""The standard prompts, one perfect answer to each, and what no prompt may reward."""

from __future__ import annotations

from pathlib import Path

from app.config_files import load_prompts
from app.domain.grading import Grade, grade

PROMPTS = {prompt.id: prompt for prompt in load_prompts(Path(__file__).resolve().parents[3] / "config")}

REFUSAL = "I'm sorry, but as an AI language model I can't help with that request. Is there anything else I can do?"
FILLER = (
    "This is a very interesting question, and there are many aspects that one should take into account here. First of "
    "all it is important to note that the topic is complex. Moreover, experts have different views on it. In the end, "
    "it is up to everyone to form an opinion, and a careful look at all sides is always helpful. "
)

PERFECT = {
    "simple-qa": "1. Canberra\n2. Tungsten\n3. Venus\n4. France",
    "code-javascript": r"""function parseDuration(text) {
  if (typeof text !== "string") return null;
  const m = text.trim().match(/^(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?$/i);
  if (!m || !m[0]) return null;
  const [, d = 0, h = 0, min = 0, s = 0] = m;
  return +d * 86400 + +h * 3600 + +min * 60 + +s;
}""",
    "explanation": (
        "Sunlight is made up of all the colours of the rainbow. When it enters the atmosphere it hits tiny gas "
        "molecules, which scatter it in all directions. Blue light, with its short waves, is scattered much more "
        "strongly than red light, so blue reaches our eyes from every side of the sky. At sunset the light has to "
        "travel through far more air. Almost all of the blue is scattered out of the way, and the red and orange "
        "light that remains colours the evening. Violet is scattered even more, but the sun emits less violet than "
        "blue, and our eyes are not very sensitive to violet, so we see blue."
    ),
    "summarisation": (
        "Veldmouth will retire its coal plant next June and heat 11,000 homes with an 84-million-euro heat pump that "
        "uses waste water. Bills should climb 3 percent at first and be lower than today after five years, but critics "
        "doubt that because electricity prices are unknown."
    ),
    "creative-writing": (
        "Lift up the lamp once more against the dark,\n"
        "Across the reef the weary breakers moan;\n"
        "No sail tonight will search for this small spark,\n"
        "The tide and I keep watch on salted stone.\n\n"
        "Each stair remembers how my footsteps fell,\n"
        "Rust eats the rail, and salt has dimmed the glass;\n"
        "Now silence takes the duty of the bell,\n"
        "So let the dawn, not me, watch vessels pass."
    ),
    "data-extraction": (
        "dates: 2024-03-14; 2024-03-08; 2024-04-02; 2024-05-31; 2024-03-16; 2024-03-18\n"
        "people: Priya Raman; Tom Becker; Lena Okafor; Marco\n"
        "organisations: Halden Robotics; Brightwell & Co.\n"
        "amounts: 12500; 37500; 800"
    ),
    "maths-problem": (
        "8:20: 20 * 45 = 900 L\n8:30: 900 + 10 * 80 = 1700 L\n8:35: 1700 + 5 * 68 = 2040 L\n"
        "8:40: 2040 + 5 * 23 = 2155 L\nRest: 245 / 68 = 3.6 min\nAnswer: 43.6 minutes"
    ),
    "json-transform": (
        '[{"id": 1039, "customer": "Ken Tanaka", "date": "2025-01-28", "express": false, "discountPercent": null, '
        '"items": [{"sku": "SCR-M4", "quantity": 10, "unitPrice": 0.35}], "total": 3.5}, '
        '{"id": 1041, "customer": "Róisín O\'Neill", "date": "2025-01-31", "express": false, "discountPercent": 20, '
        '"items": [{"sku": "LMP-20", "quantity": 3, "unitPrice": 24.9}, '
        '{"sku": "BLB-E14", "quantity": 4, "unitPrice": 3.25}], "total": 70.16}, '
        '{"id": 1043, "customer": "Élise Moreau", "date": "2025-02-03", "express": true, "discountPercent": 10, '
        '"items": [{"sku": "LMP-20", "quantity": 2, "unitPrice": 24.9}, '
        '{"sku": "CBL-5", "quantity": 1, "unitPrice": 7.5}], "total": 51.57}]'
    ),
    "pros-and-cons": (
        "Pros\n"
        "- The company becomes more attractive to talent, since few competitors offer full pay for four days.\n"
        "- People return rested from a long weekend, which reduces stress and sick days.\n"
        "- Teams waste less time in meetings because they have to set priorities more strictly.\n\n"
        "Cons\n"
        "- Clients may wait for a reply on Fridays because nobody is available then.\n"
        "- With a fifth fewer hours, deliveries may slip unless the scope of projects is reduced.\n"
        "- Each hour of work becomes more expensive, as salaries stay the same.\n\n"
        "Recommendation: Start a three-month pilot, and keep it if customer satisfaction does not fall."
    ),
    "logic-puzzle": (
        "Answer: Bea, Finn, Dan, Amir, Cleo, Eva\n\n"
        "Bea wins, because Amir and Finn did not win and Cleo, Dan and Eva are each behind somebody.\n"
        "Dan is therefore third.\n"
        "Finn is second: Amir and Cleo are inseparable, and Eva comes after Cleo, so he fits between Bea and Dan.\n"
        "Amir and Cleo come in fourth and fifth as a pair.\n"
        "Eva is last since she is behind both Finn and Cleo."
    ),
}


def grade_of(prompt_id: str, answer: str) -> Grade:
    return grade(PROMPTS[prompt_id], answer)


def assert_between(prompt_id: str, answer: str, low: float, high: float) -> None:
    found = grade_of(prompt_id, answer)
    assert low <= found.score <= high, found
