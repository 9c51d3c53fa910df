"""`python -m tests.iam`: writes the policies of `deploy/iam` anew."""

from tests.iam.roles import FOLDER, files, text

for name, policy in files().items():
    (FOLDER / name).write_text(text(policy), "utf-8")
    print(f"deploy/iam/{name}")
