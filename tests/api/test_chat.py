def test_the_test_button_of_one_api_finds_an_answer(client):
    body = {"model": "m3e", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    answer = client.post("/v1/chat/completions", json=body).json

    assert answer["model"] == "m3e"
    assert "does not chat" in answer["choices"][0]["message"]["content"]
