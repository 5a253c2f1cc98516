# Two stages: the first builds an environment from the locked, hashed files; the second is only that
# environment on a slim Python, run by an ordinary account.
FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/nurture
ENV PATH=/opt/nurture/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock .
RUN pip install --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /var/lib/nurture nurture
COPY --from=build /opt/nurture /opt/nurture
ENV PATH=/opt/nurture/bin:$PATH PYTHONUNBUFFERED=1
USER nurture
WORKDIR /var/lib/nurture
# The programme that `nurture migrate` publishes first; mount your own over it.
COPY email_templates email_templates
# A volume over it belongs to whom the folder belongs to.
RUN mkdir journal
EXPOSE 8025
# Says what it can do; docker-compose.yml gives each service its command.
CMD ["nurture", "--help"]
