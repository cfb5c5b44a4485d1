-- Bearer tokens (SASL OAUTHBEARER, RFC 7628) by Prosody's own mechanism, without an authorization
-- server: the token "token-of-USER" is USER's.  Beside it only PLAIN is offered.
local new_sasl = require "prosody.util.sasl".new;

local PASSWORD = module:get_option_string("bearer_password");

local provider = {};

function provider.user_exists() return true; end
function provider.get_password() return nil, "there is none"; end
function provider.test_password(_, password) return password == PASSWORD; end
function provider.set_password() return nil, "there is none"; end
function provider.create_user() return nil, "there is none"; end

function provider.get_sasl_handler()
	return new_sasl(module.host, {
		oauthbearer = function (_, token, _, authzid)
			local user = token and token:match("^token%-of%-(%w+)$");
			if user and authzid == user .. "@" .. module.host then
				return user, true, {};
			end
			return nil, nil, { status = "invalid_token" };
		end,
		plain_test = function (_, user, password)
			return provider.test_password(user, password), true;
		end,
	});
end

module:provides("auth", provider);
