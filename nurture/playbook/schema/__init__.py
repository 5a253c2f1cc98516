"""What the playbook's files may say: models of `playbook.yaml`, `measure.yaml` and mail front matter.

Plain values come in (`document`), typed models go out to `build`. Unknown keys are faults. The same models
give the JSON Schema that editors complete and check by (`export`).
"""
