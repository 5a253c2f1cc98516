"""The models of `playbook.yaml`, `measure.yaml` and mail front matter.

They turn the plain values of a document into typed models for the builders. Unknown keys are faults. The same models
give the JSON Schema that editors use (`export`).
"""
