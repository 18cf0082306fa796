"""The builder: what it takes from its sources, on a map small enough to read."""

import json

from providers.catalog.build_snapshot import main


def test_only_chat_and_embedding_models_of_our_providers_are_taken_and_only_facts(tmp_path):
    chat = {
        "litellm_provider": "xai",
        "mode": "chat",
        "max_input_tokens": 5.0,
        "max_output_tokens": 4,
        "supports_vision": True,
    }
    source = {
        "xai/new": {**chat, "source": "https://example.invalid", "deprecation_date": "2030-01-01"},
        "xai/new-tts": chat,
        "xai/pictures": {**chat, "mode": "image_generation"},
        "stranger/new": {**chat, "litellm_provider": "stranger"},
        "embed-x": {"litellm_provider": "cohere", "mode": "embedding", "max_input_tokens": 512},
        "mistral/mistral-large-4": {
            "litellm_provider": "mistral",
            "mode": "chat",
            "input_cost_per_token": 1.36e-06,
            "output_cost_per_token": 4.18e-06,
        },
    }
    (tmp_path / "map.json").write_text(json.dumps(source))
    main(tmp_path / "map.json", tmp_path / "out.json")
    made = json.loads((tmp_path / "out.json").read_text())
    assert made["cards"]["xai"] == {"new": {"in": 5, "out": 4, "caps": "v", "ends": "2030-01-01"}}
    assert made["cards"]["cohere"] == {"embed-x": {"in": 512, "caps": "e"}}
    assert "stranger" not in made["cards"]
    large = next(entry for entry in made["prices"]["mistral"] if entry["id"] == "mistral-large-4")
    assert large["rates"] == [{"in": 1.36, "out": 4.18}]
    assert "example.invalid" not in (tmp_path / "out.json").read_text()


def test_flattened_prices_are_what_genai_prices_itself_computes():
    """A sample of every provider, priced by both, at a moment of each kind."""
    from datetime import UTC, datetime
    from decimal import Decimal

    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    from providers.catalog import cost_nano, price, rows
    from providers.types import Usage

    theirs = {"gemini": "google", "xai": "x-ai"}
    moments = [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (2, 5, 12)]
    compared = 0
    for row in rows().values():
        for model in row.models:
            if model == "mistral-large-4" or (flat := price(row.name, model, moments[0])) is None or not flat.output:
                continue
            for now in moments:
                for prompt in (1_000, 300_000):
                    usage = TheirUsage(input_tokens=prompt, output_tokens=500, cache_read_tokens=200)
                    exact = calc_price(
                        usage, model, provider_id=theirs.get(row.name, row.name), genai_request_timestamp=now
                    )
                    mine = cost_nano(price(row.name, model, now), Usage(input=prompt, output=500, cached_input=200))
                    assert abs(Decimal(mine) - exact.total_price * 10**9) <= 1, (row.name, model, now, prompt)
                    compared += 1
    assert compared > 100
