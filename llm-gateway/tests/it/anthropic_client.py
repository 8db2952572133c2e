"""The official Anthropic client: messages, streams, tools, models, errors, all in front of OpenAI's protocol."""
import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["GATEWAY"], api_key="not-needed", max_retries=0)
ask = [{"role": "user", "content": "Hi"}]
tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]

whole = client.messages.create(model="m", max_tokens=50, messages=ask, system="Be brief.")
assert whole.content[0].text == "Hello from here" and whole.stop_reason == "end_turn", whole
assert (whole.usage.input_tokens, whole.usage.output_tokens) == (12, 3), whole.usage

with client.messages.stream(model="m", max_tokens=50, messages=ask) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert text == "Hello from here", text
assert final.usage.output_tokens == 3 and final.stop_reason == "end_turn", final

call = client.messages.create(model="m", max_tokens=50, messages=ask, tools=tools)
block = call.content[-1]
assert call.stop_reason == "tool_use" and (block.name, block.input) == ("weather", {"city": "Bonn"}), call
turn = ask + [
    {"role": "assistant", "content": call.content},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "12 degrees"}]},
]
assert client.messages.create(model="m", max_tokens=50, messages=turn, tools=tools).content[0].text == "Hello from here"

with client.messages.stream(model="m", max_tokens=50, messages=ask, tools=tools) as stream:
    final = stream.get_final_message()
assert final.content[-1].input == {"city": "Bonn"} and final.stop_reason == "tool_use", final

assert {model.id for model in client.models.list()} == {"m", "e"}


def fails(kind, code, **more):
    try:
        client.messages.create(**({"model": "m", "max_tokens": 50, "messages": ask} | more))
    except kind as error:
        assert error.body["error"]["code"] == code, error.body
        return
    raise AssertionError(f"{kind} was expected")


fails(anthropic.NotFoundError, "TM1105", model="nothing")
fails(anthropic.BadRequestError, "TM1101", extra_body={"temperature": "hot"})
fails(anthropic.RateLimitError, "TM1111", messages=[{"role": "user", "content": "limit please"}])
print(f"counted: the anthropic client {anthropic.__version__} works unchanged")
print("all good")
