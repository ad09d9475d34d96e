import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { problemSchema } from './problem-document.ts';

/**
 * `/openapi.json` and, for people, `/docs`. The page's assets come from this process, so it works without a network.
 * The document is built at the first request for it: most processes are never asked.
 */
export function describeApi(app: NestFastifyApplication, version: string, asksForKeys: boolean): void {
  SwaggerModule.setup('docs', app, () => describe(app, version, asksForKeys), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Daybook API',
  });
}

function describe(app: NestFastifyApplication, version: string, asksForKeys: boolean): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Daybook')
    .setDescription('Submit tasks, and ask what became of them. Every refusal is an RFC 9457 problem with a stable code.')
    .setVersion(version);
  if (asksForKeys) builder.addBearerAuth({ type: 'http', scheme: 'bearer' }, 'key').addSecurityRequirements('key');
  return withProblems(SwaggerModule.createDocument(app, builder.build()));
}

/** Every operation may answer a problem; said once here instead of at each route. */
function withProblems(document: OpenAPIObject): OpenAPIObject {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(problemSchema);
  document.components = { ...document.components, schemas: { ...document.components?.schemas, Problem: schema as never } };
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path) as unknown[]) {
      if (typeof operation !== 'object' || operation === null || !('responses' in operation)) continue;
      Object.assign(operation.responses as object, {
        default: { description: 'A problem', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
      });
    }
  }
  return document;
}
