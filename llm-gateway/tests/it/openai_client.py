"""The official OpenAI client: chat, streams, tools, a schema, vectors, models, errors."""
import os

import openai
from pydantic import BaseModel

client = openai.OpenAI(base_url=os.environ["GATEWAY"] + "/v1", api_key="not-needed", max_retries=0)
ask = [{"role": "user", "content": "Hi"}]
tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]

whole = client.chat.completions.create(model="m", messages=ask)
assert whole.choices[0].message.content == "Hello from here", whole
assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (12, 3), whole.usage

raw = client.chat.completions.with_raw_response.create(model="m", messages=ask)
assert raw.headers["x-tidemill-deployment"] == "m" and float(raw.headers["x-tidemill-overhead-ms"]) >= 0

text, usage = "", None
for chunk in client.chat.completions.create(model="m", messages=ask, stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
assert text == "Hello from here" and usage.total_tokens == 15, (text, usage)

call = client.chat.completions.create(model="m", messages=ask, tools=tools).choices[0]
assert call.finish_reason == "tool_calls" and call.message.tool_calls[0].function.name == "weather", call
turn = ask + [call.message, {"role": "tool", "tool_call_id": call.message.tool_calls[0].id, "content": "12 degrees"}]
assert client.chat.completions.create(model="m", messages=turn, tools=tools).choices[0].message.content == "Hello from here"

with client.chat.completions.stream(model="m", messages=ask, tools=tools) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.tool_calls[0].function.arguments == '{"city":"Bonn"}', final


class Person(BaseModel):
    name: str
    age: int


parsed = client.chat.completions.parse(model="m", messages=ask, response_format=Person).choices[0].message.parsed
assert parsed == Person(name="Ann", age=7), parsed

assert client.embeddings.create(model="e", input="Hi").data[0].embedding == [0.5, -1.0]
assert client.embeddings.create(model="e", input=["Hi"], encoding_format="float").data[0].embedding == [0.5, -1.0]
assert {model.id for model in client.models.list()} == {"m", "e"}
assert client.models.retrieve("m").id == "m"


def fails(kind, code, **more):
    try:
        client.chat.completions.create(**({"model": "m", "messages": ask} | more))
    except kind as error:
        assert error.code == code, (error.code, code)
        return
    raise AssertionError(f"{kind} was expected")


fails(openai.NotFoundError, "TM1105", model="nothing")
fails(openai.BadRequestError, "TM1101", temperature="hot")
fails(openai.RateLimitError, "TM1111", messages=[{"role": "user", "content": "limit please"}])
print(f"counted: the openai client {openai.__version__} works unchanged")
print("all good")
